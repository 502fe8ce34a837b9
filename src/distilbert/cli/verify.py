"""`distilbert verify`: whether a bundle is what its maker wrote, and answers here as it did there."""

from __future__ import annotations

import click

from distilbert.cli import options


@click.command(
    epilog="""\b
Examples:
  distilbert verify distilbert-sst2
  distilbert verify my-bundle/
  distilbert verify my-bundle/ --engine openvino"""
)
@click.argument("bundle")
@options.revision
@click.option(
    "--engine",
    type=click.Choice(["onnxruntime", "openvino"]),
    default="onnxruntime",
    show_default=True,
    help="What answers the probes.",
)
def command(bundle: str, revision: str | None, engine: str) -> None:
    """Check every byte of BUNDLE (a folder, an embedded model or one on the hub) and replay its probes."""
    from distilbert.compile import verify
    from distilbert.files.bundle import open_bundle
    from distilbert.files.hub import resolve

    folder = resolve(bundle, revision=revision)
    difference = verify(folder, engine)
    manifest = open_bundle(folder).manifest
    agreement = "to the bit" if difference == 0 else f"within {difference:.1e}"
    click.echo(
        f"{bundle}: {len(manifest.files)} files are as they were written; {len(manifest.probes)} probes answered "
        f"as when it was made, {agreement} ({manifest.precision})."
    )
