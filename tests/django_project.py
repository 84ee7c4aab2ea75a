"""The one Django project of a test process, whose settings cannot be changed once they are made."""

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["testserver", "127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
