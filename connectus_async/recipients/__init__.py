"""From a table of recipients to checked messages.

File formats, templates and phone numbers, with the optional libraries for them, are here. Nothing
here sends.
"""
