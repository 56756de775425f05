"""One module per command of `adversarial`; each is imported when it is called."""
