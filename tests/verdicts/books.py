"""Small books of clauses, in the format of the specification."""

from conformance.specification.clauses import Book, parse_chapter

QUEUE = """\
# Keeping accounts

*Classes: queue-http, queue-stomp.*

- **[ACCOUNT-OPEN-1]** The server MUST open an account.
- **[ACCOUNT-PAY-1]** The server MUST book what is paid in.
  *Depends on: ACCOUNT-OPEN-1.*
- **[ACCOUNT-PAY-2]** The server SHOULD say what is in the account.
  *Depends on: ACCOUNT-PAY-1.*
- **[ACCOUNT-PAY-3]** The server MAY round to cents.
- **[ACCOUNT-CLOSE-1]** The server MUST NOT close an account with money in it.
  *Depends on: ACCOUNT-PAY-1.*
"""

STOMP = """\
# Talking

- **[TALK-1]** The server MUST answer a greeting. *Classes: stomp-1.1, stomp-1.2.*
- **[TALK-2]** The server SHOULD answer politely.
  *Classes: stomp-1.2.* *Depends on: TALK-1.* *Restates: Good Manners, chapter 2.*
- **[TALK-3]** The client MUST greet. *Classes: stomp-1.2.* *Not judged: it binds the client.*
"""


def book(*chapters: str) -> Book:
    """Book of these chapters; without any, of QUEUE and STOMP."""
    texts = {f"chapter{number}.md": text for number, text in enumerate(chapters or (QUEUE, STOMP))}
    clauses = [clause for source, text in texts.items() for clause in parse_chapter(text, source)]
    return Book({clause.id: clause for clause in clauses})
