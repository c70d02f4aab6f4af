"""The routes: a module or package for each URL prefix, and the parts that they use."""
