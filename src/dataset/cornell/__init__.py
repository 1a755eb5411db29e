"""The Cornell Movie-Dialogs Corpus as published: parsing, pairing, splitting by film."""
