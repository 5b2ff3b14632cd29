"""What httpd's WSGI daemon loads."""

from lab.node.api.application import application

__all__ = ["application"]
