"""What RDKit complained about, as one line fit for a message."""


def complaint(log: str) -> str:
    """Return the first line of a captured error log that says something; "" without one.

    Time stamps, rules of asterisks and the headings of violations ("Post-condition Violation") say nothing.
    """
    lines = (line.split("] ", 1)[-1].strip() if line.startswith("[") else line.strip() for line in log.splitlines())
    return next((line for line in lines if line.strip("*") and not line.endswith("Violation")), "")
