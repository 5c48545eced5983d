"""Reports for people: tables, curves, contact sheets and the HTML page."""
