"""`hsc weights`."""

import typer

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def weights(context: typer.Context) -> None:
    """List the judges' weights, or fetch them.

    Present or not, source, licence, and what they make possible.

    \b
    Examples:
      hsc weights
      hsc weights fetch
    """
    if context.invoked_subcommand:
        return
    from hsc.judges.weights import status

    for entry in status():
        typer.echo(entry)


@app.command()
def fetch() -> None:
    """Fetch what can be fetched, and check it.

    \b
    Example:
      hsc weights fetch
    """
    from hsc.judges.weights import fetch as fetch_weights

    fetch_weights()
