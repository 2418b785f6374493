"""The `hsc` command. Each verb is a short function that reads like a table of contents of the packages it calls;
heavy imports are inside it, so that `hsc --help` answers at once."""

from typing import Annotated

import typer

from hsc.cli import codec, data, doctor, evaluate, inspect, prior, show, sweep, train, weights
from hsc.cli.exits import tidy_exits
from hsc.cli.memory import keep_freed_memory

app = typer.Typer(
    name="hsc",
    help="Hierarchical scalable face coding with a StyleGAN prior: train, measure and run.",
    epilog="Start with `hsc doctor`. `hsc COMMAND --help` explains a command, with examples.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.command(context_settings={"ignore_unknown_options": True})(train.train)
app.command()(sweep.sweep)
app.command()(evaluate.evaluate)
app.command()(evaluate.compare)
app.command()(codec.encode)
app.command()(codec.decode)
app.command()(inspect.inspect)
app.command()(show.show)
app.add_typer(prior.app, name="prior")
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")
app.command()(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from hsc import __version__

        typer.echo(f"hsc {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Hierarchical scalable face coding with a StyleGAN prior: train, measure and run."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; always ends in SystemExit."""
    keep_freed_memory()
    with tidy_exits():
        app(arguments, prog_name="hsc")
