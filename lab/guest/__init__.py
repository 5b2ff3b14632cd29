"""Guests: hosts with a kernel of their own, on which SELinux is on.

Containers share their machine's kernel, so what SELinux does cannot be seen in them.  A guest is Debian's user-mode
Linux, an ordinary process in an ordinary container, on a disk made from the server image.  A command for the host
goes through one in the container (:data:`lab.execute.THROUGH`), which hands it over by a shared folder.
"""
