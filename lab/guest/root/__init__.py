"""What runs in a guest's container and in the guest.  The image's build puts it there."""
