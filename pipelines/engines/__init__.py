"""A build as one pipeline of Beam, on the engine that its flags name."""
