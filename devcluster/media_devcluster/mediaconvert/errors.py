"""What the service says no with: a status, an exception of its model, and a sentence."""

from __future__ import annotations

NAMES = {
    400: "BadRequestException",
    402: "ServiceQuotaExceededException",
    403: "ForbiddenException",
    404: "NotFoundException",
    409: "ConflictException",
    422: "UnprocessableEntityException",
    429: "TooManyRequestsException",
    500: "InternalServerErrorException",
}


class ServiceError(Exception):
    """A request that is refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    @property
    def name(self) -> str:
        """Which of the service's exceptions boto3 raises for it."""
        return NAMES[self.status]


class JobFailed(Exception):
    """A job that ends with ERROR."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def bad_request(*problems: str) -> ServiceError:
    """Everything that is wrong with a request, in one answer."""
    return ServiceError(400, "; ".join(problems))


def not_found(what: str) -> ServiceError:
    """There is no such thing."""
    return ServiceError(404, f"{what} does not exist.")
