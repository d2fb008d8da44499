"""What people read: views of the programme as HTML and text."""
