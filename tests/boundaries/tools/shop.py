"""A user's module of tools, as tests wrap it by dotted name."""

import functools


def refund(order: int) -> str:
    return f"real {order}"


def lookup(order: int) -> str:
    return refund(order)


class Base:
    def shared(self, order: int) -> str:
        return f"real {order}"


class Client(Base):
    def refund(self, order: int) -> str:
        return f"real {order}"

    @classmethod
    def make(cls, order: int) -> str:
        return f"real {cls.__name__} {order}"

    @staticmethod
    def add(order: int) -> str:
        return f"real {order}"

    bound = staticmethod(functools.partial(lookup, 7))


client = Client()
prefilled = functools.partial(refund, order=5)
CONSTANT = 3
