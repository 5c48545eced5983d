"""Discovery of declarations: modules of a package, and installed plug-ins."""
