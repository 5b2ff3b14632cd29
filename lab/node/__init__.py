"""What runs inside a host of the lab: an identity server in FreeIPA's layout, made of the distribution's
real parts.
"""
