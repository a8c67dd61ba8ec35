"""How good an encoder is, by evaluation files and by mteb."""
