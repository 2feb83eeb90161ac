"""The built-in handler: polite crawling and cache warming of web sites.

Owns everything that speaks HTTP to a site. It imports `pacewheel.errors` and `pacewheel.model`
only: the engine hands it a `Task` and gets back an `Outcome`, so it can be tested and used
without a database.
"""
