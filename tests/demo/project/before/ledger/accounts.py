"""Accounts in a SQLite database. Amounts are integers in cents."""

import sqlite3


class InsufficientFunds(Exception):
    """The account does not hold enough for this transfer."""


def balance(db: sqlite3.Connection, account: str) -> int:
    row = db.execute("SELECT cents FROM accounts WHERE name = ?", (account,)).fetchone()
    if row is None:
        raise KeyError(account)
    return row[0]


def transfer(db: sqlite3.Connection, source: str, target: str, cents: int) -> None:
    if cents <= 0:
        raise ValueError("a transfer moves a positive amount")
    if balance(db, source) < cents:
        raise InsufficientFunds(source)
    with db:
        db.execute("UPDATE accounts SET cents = cents - ? WHERE name = ?", (cents, source))
        db.execute("UPDATE accounts SET cents = cents + ? WHERE name = ?", (cents, target))
