"""What the API refuses, with FreeIPA's numbers, names and words."""

from __future__ import annotations


class ApiError(Exception):
    """A refusal that the caller is told of. `code` is what FreeIPA's clients know it by."""

    code = 900
    name = "PublicError"


class UnknownCommand(ApiError):
    code, name = 905, "CommandError"

    def __init__(self, command: str) -> None:
        super().__init__(f"unknown command '{command}'")


class InternalError(ApiError):
    code, name = 904, "InternalError"

    def __init__(self) -> None:
        super().__init__("an internal error has occurred")


class NetworkTrouble(ApiError):
    """Something that the server needs does not answer."""

    code, name = 907, "NetworkError"


class MalformedRequest(ApiError):
    code, name = 909, "JSONError"


class NoCredentials(ApiError):
    code, name = 1101, "CCacheError"

    def __init__(self) -> None:
        super().__init__("did not receive Kerberos credentials")


class AccessDenied(ApiError):
    code, name = 2100, "ACIError"

    def __init__(self, info: str) -> None:
        super().__init__(f"Insufficient access: {info}")


class Missing(ApiError):
    code, name = 3007, "RequirementError"

    def __init__(self, parameter: str) -> None:
        super().__init__(f"'{parameter}' is required")


class Invalid(ApiError):
    code, name = 3009, "ValidationError"

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"invalid '{parameter}': {why}")


class NotFound(ApiError):
    code, name = 4001, "NotFound"


class Duplicate(ApiError):
    code, name = 4002, "DuplicateEntry"


class NothingToDo(ApiError):
    code, name = 4202, "EmptyModlist"

    def __init__(self) -> None:
        super().__init__("no modifications to be performed")


class AlreadyInactive(ApiError):
    code, name = 4010, "AlreadyInactive"

    def __init__(self) -> None:
        super().__init__("This entry is already disabled")


class DirectoryTrouble(ApiError):
    code, name = 4203, "DatabaseError"


class CertificateTrouble(ApiError):
    code, name = 4301, "CertificateOperationError"

    def __init__(self, why: str) -> None:
        super().__init__(f"Certificate operation cannot be completed: {why}")
