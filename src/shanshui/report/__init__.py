"""What people look at: tables, curves, sheets of images and the page that holds them all."""
