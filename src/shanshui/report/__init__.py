"""What people look at: tables, curves, sheets of pictures and the page that holds them all."""
