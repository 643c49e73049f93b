"""Accounts in a SQLite database. Amounts are integers in cents."""

import sqlite3


class InsufficientFunds(Exception):
    """The account does not hold enough for this transfer."""


def balance(db: sqlite3.Connection, account: str) -> int:
    row = db.execute(f"SELECT cents FROM accounts WHERE name = '{account}'").fetchone()
    return row[0]


def find(db: sqlite3.Connection, text: str) -> list[str]:
    rows = db.execute("SELECT name FROM accounts WHERE name LIKE '%" + text + "%'")
    return [row[0] for row in rows]


def transfer(db: sqlite3.Connection, source: str, target: str, cents: int) -> None:
    if balance(db, source) < cents:
        raise InsufficientFunds(source)
    db.execute("UPDATE accounts SET cents = cents - ? WHERE name = ?", (cents, source))
    db.execute("UPDATE accounts SET cents = cents + ? WHERE name = ?", (cents, target))
