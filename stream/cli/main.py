"""`sentistream`: the table of commands."""

from __future__ import annotations

import typer

from stream.cli import (
    check_producer,
    config,
    consent,
    export,
    forget,
    gateway,
    models,
    prepare_kafka,
    produce,
    rebuild,
    reveal,
    revise,
    rules,
    schemas,
    train,
    up,
    verdict,
    watch,
    webhooks,
    worker,
)
from stream.cli.demo import command as demo
from stream.cli.doctor import command as doctor
from stream.cli.explain import command as explain

app = typer.Typer(
    name="sentistream",
    help="Scores the sentiment of live conversations from text, audio and video, and explains each score. Start with `sentistream demo`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("worker")(worker.worker)
app.command("produce")(produce.produce)
app.command("check-producer")(check_producer.check_producer)
app.command("watch")(watch.watch)
app.command("export")(export.export)
app.command("explain")(explain.explain)
app.command("rebuild")(rebuild.rebuild)
app.command("consent")(consent.consent)
app.command("forget")(forget.forget)
app.command("prepare-kafka")(prepare_kafka.prepare_kafka)
app.command("doctor")(doctor.doctor)
app.command("reveal")(reveal.reveal)
app.command("revise")(revise.revise)
app.command("verdict")(verdict.verdict)
app.command("schemas")(schemas.schemas)
app.command("train", hidden=not train.IN_CHECKOUT)(train.train)
app.command("evaluate", hidden=not train.IN_CHECKOUT)(train.evaluate)
app.add_typer(gateway.app, name="gateway")
models.app.command("export", hidden=not train.IN_CHECKOUT)(train.export)
app.add_typer(models.app, name="models")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(rules.app, name="rules")
app.add_typer(config.app, name="config")
