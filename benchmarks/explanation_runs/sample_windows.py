"""The final windows of the packaged sample, aligned and encoded in this process, without broker and servers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.explanation_runs.local_models import LocalClient
from benchmarks.explanation_runs.windows import Case
from stream.align.outcome import EncodedChunk
from stream.align.session import SessionAligner
from stream.align.track import WindowPolicy
from stream.align.windower import HoppingWindower
from stream.config.settings import Settings
from stream.domain.chunk import Chunk
from stream.domain.identity import TrackKey
from stream.domain.media_format import WORD_WIDTH
from stream.domain.window import Window
from stream.encoders.context_inputs import contribution, with_context
from stream.encoders.window_inputs import build
from stream.media.sandbox import Sandbox
from stream.pipeline.encode import ChunkEncoder
from stream.pipeline.window_context import ContextStore
from stream.produce.prepare import PreparedSession
from stream.produce.sample import sample_sessions
from stream.produce.session import PlannedChunk, plan_records

CAPTURED_FROM_MS = 1_760_000_000_000


async def sample_cases(client: LocalClient) -> list[Case]:
    """The windows of the sample in which anything is present, in order. Raises `SourceError` when the sample is not installed."""
    async with Sandbox(Settings().sandbox) as sandbox:
        return [case for session in sample_sessions() for case in await cases_of(session, sandbox, client)]


async def cases_of(session: PreparedSession, sandbox: Sandbox, client: LocalClient) -> list[Case]:
    """The windows of a session in which anything is present, in order."""
    settings = Settings()
    windows, plan, models = settings.windows, session.plan, client.models()
    policy = WindowPolicy(
        HoppingWindower(windows.length_ms, windows.hop_ms),
        windows.allowed_lateness_ms,
        windows.idle_after_ms,
        windows.partial_every_ms,
        windows.max_skew_ms,
    )
    aligner: SessionAligner[None] = SessionAligner(
        plan.key,
        0,
        policy,
        end_grace_ms=windows.end_grace_ms,
        expire_after_ms=windows.expire_after_ms,
        max_ahead_ms=windows.max_ahead_ms,
        max_back_ms=windows.max_back_ms,
        max_held=settings.limits.chunks_held_per_session,
        now=0,
    )
    aligner.on_start(plan.start(), 0)
    encoders = {}
    for setup in plan.tracks:
        aligner.open_track(TrackKey(plan.key, setup.track), setup.role, None, 0)
        encoders[setup.track] = ChunkEncoder(sandbox, models, settings.audio, settings.video)
    store = ContextStore()
    cases: list[Case] = []
    with session.pieces() as pieces:
        for record in plan_records(plan, pieces):
            if isinstance(record, PlannedChunk):
                header = record.header(plan, CAPTURED_FROM_MS + record.due_ms)
                features = await encoders[record.track.track].encode(Chunk(header, record.payload))
                if aligner.admits(header):
                    outcome = aligner.on_chunk(EncodedChunk(header, features, None), record.due_ms)
                    cases += await _scored((closed.window for closed in outcome.closed), store, client)
    cases += await _scored((closed.window for closed in aligner.finish().closed), store, client)
    await models.close()
    return cases


async def _scored(windows: Iterable[Window], store: ContextStore, client: LocalClient) -> list[Case]:
    """The inputs of windows as the worker lays them out; none of a window in which nothing is present."""
    cases = []
    for window in windows:
        context = store.context_of(window)
        words = [word.text for word in window.words()]
        states = client.word_states(context.words_before, words) if words else np.zeros((0, WORD_WIDTH), np.float32)
        alone = build(window, states)
        context.contribute(contribution(window, alone))
        if window.present():
            inputs = with_context(alone, window, await context.features(), await context.earlier())
            cases.append(Case(inputs, context.words_before if not inputs.words_dropped else (), window.start_ms))
    return cases
