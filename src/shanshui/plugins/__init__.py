"""Finding what is declared elsewhere: modules of a package, and installed plug-ins."""
