"""Pictures, written by hand as SVG: text in, text out, without a library. Colours come from classes."""
