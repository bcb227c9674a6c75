"""Networks drawn as graphs: blocks, branches and joins, as SVG text."""
