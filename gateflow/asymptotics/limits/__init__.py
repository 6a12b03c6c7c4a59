"""Limits of germs at infinity: multiseries over a growing basis, with exact constants."""
