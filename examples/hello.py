"""The first program: text in, sentiment out."""

from distilbert import pipeline

sentiment_analyzer = pipeline("sentiment-analysis")
print(sentiment_analyzer("I love learning about DistilBERT!"))
