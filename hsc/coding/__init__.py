"""Integers ↔ bytes: frequency tables, the range coder, the .hsc container. docs/bitstream.md specifies them."""
