"""Others' ways to run the same model, each as its own documentation recommends. Exempt from the rule about torch."""
