"""The site: `python -m docs.site`, or `make docs`.

`stage` gathers and makes the pages, Sphinx sets them, `links` checks the result.
"""
