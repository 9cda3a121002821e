"""The JSON of recognisers: small samples in the shape that each tool documents; the words, times, confidences and speakers are its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stream.domain.features import Word
from stream.media.errors import TranscriptError
from stream.media.transcript.read import Transcript, parse_transcript

Rows = list[tuple[str, int, int, float, str | None]]


def read(*documents: object, suffix: str = ".json") -> Transcript:
    return parse_transcript("\n".join(json.dumps(document) for document in documents).encode(), suffix)


def rows(*documents: object) -> Rows:
    return [(w.text, w.start_ms, w.end_ms, round(w.confidence, 3), w.speaker) for w in read(*documents).words]


def aws_item(content: str, start: float | None, **more: object) -> dict[str, Any]:
    item: dict[str, Any] = {"alternatives": [{"confidence": "0.9" if start is not None else "0.0", "content": content}], **more}
    if start is None:
        return item | {"type": "punctuation"}
    return item | {"type": "pronunciation", "start_time": str(start), "end_time": str(start + 0.5)}


WORDS = [{"word": " so", "start": 0.1, "end": 0.6, "probability": 0.9}, {"word": " good.", "start": 0.7, "end": 1.2, "probability": 0.8}]
SO_GOOD: Rows = [("so", 100, 600, 0.9, None), ("good.", 700, 1200, 0.8, None)]

SEGMENT = {"id": 0, "seek": 0, "start": 0.1, "end": 1.2, "text": " so good.", "tokens": [1], "avg_logprob": -0.3, "no_speech_prob": 0.01}

SHAPES: dict[str, tuple[list[object], Rows]] = {
    "openai-whisper with word times": ([{"text": " so good.", "segments": [SEGMENT | {"words": WORDS}], "language": "en"}], SO_GOOD),
    "openai-whisper without word times": (
        [{"text": " so good.", "segments": [SEGMENT], "language": "en"}],
        [("so", 100, 414, 1.0, None), ("good.", 414, 1200, 1.0, None)],
    ),
    "OpenAI's API, whose words have no punctuation": (
        [
            {
                "task": "transcribe",
                "duration": 1.2,
                "text": "So good.",
                "words": [{"word": "So", "start": 0.1, "end": 0.6}, {"word": "good", "start": 0.7, "end": 1.2}],
                "segments": [SEGMENT | {"text": " So good."}],
            }
        ],
        [("So", 100, 600, 1.0, None), ("good.", 700, 1200, 1.0, None)],
    ),
    "OpenAI's API with speakers": (
        [
            {
                "text": "so",
                "segments": [{"type": "transcript.text.segment", "id": "s", "start": 0.1, "end": 0.6, "text": " so", "speaker": "A"}],
            }
        ],
        [("so", 100, 600, 1.0, "A")],
    ),
    "faster-whisper as a list of objects": ([[SEGMENT | {"words": WORDS}]], SO_GOOD),
    "faster-whisper as lists": (
        [[[0, 0, 0.1, 1.2, " so good.", [1], -0.3, 1.1, 0.01, [[0.1, 0.6, " so", 0.9], [0.7, 1.2, " good.", 0.8]], 0.0]]],
        SO_GOOD,
    ),
    "faster-whisper as segments and info": (
        [
            [
                [[0, 0, 0.1, 1.2, " so good.", [1], 0.0, -0.3, 1.1, 0.01, [[0.1, 0.6, " so", 0.9], [0.7, 1.2, " good.", 0.8]]]],
                ["en", 0.9, 1.2],
            ]
        ],
        SO_GOOD,
    ),
    "faster-whisper as lists without words": (
        [[[0, 0, 0.1, 1.2, " so good.", [1], -0.3, 1.1, 0.01, None, 0.0]]],
        [("so", 100, 414, 1.0, None), ("good.", 414, 1200, 1.0, None)],
    ),
    "faster-whisper as JSON Lines": (
        [SEGMENT | {"words": WORDS}, SEGMENT | {"start": 2.0, "end": 3.0, "text": " yes"}],
        [*SO_GOOD, ("yes", 2000, 3000, 1.0, None)],
    ),
    "whisperX, whose numbers have no times": (
        [
            {
                "segments": [
                    {
                        "start": 0.1,
                        "end": 2.0,
                        "text": " in 2020 so",
                        "speaker": "SPEAKER_00",
                        "words": [
                            {"word": "in", "start": 0.1, "end": 0.3, "score": 0.9, "speaker": "SPEAKER_00"},
                            {"word": "2020"},
                            {"word": "so", "start": 1.0, "end": 2.0, "score": 0.8, "speaker": "SPEAKER_01"},
                        ],
                    }
                ],
                "word_segments": [{"word": "in", "start": 0.1, "end": 0.3, "score": 0.9}],
            }
        ],
        [("in", 100, 300, 0.9, "SPEAKER_00"), ("2020", 300, 1000, 1.0, "SPEAKER_00"), ("so", 1000, 2000, 0.8, "SPEAKER_01")],
    ),
    "whisperX's words alone": (
        [
            {
                "word_segments": [
                    {"word": "in", "start": 0.1, "end": 0.3, "score": 0.9},
                    {"word": "2020"},
                    {"word": "so", "start": 1.0, "end": 2.0},
                ]
            }
        ],
        [("in", 100, 300, 0.9, None), ("2020", 300, 1000, 1.0, None), ("so", 1000, 2000, 1.0, None)],
    ),
    "whisper-timestamped": (
        [
            {
                "text": "so",
                "segments": [SEGMENT | {"confidence": 0.7, "words": [{"text": "so", "start": 0.1, "end": 0.6, "confidence": 0.5}]}],
            }
        ],
        [("so", 100, 600, 0.5, None)],
    ),
    "whisper.cpp": (
        [
            {
                "systeminfo": "x",
                "result": {"language": "en"},
                "transcription": [
                    {
                        "timestamps": {"from": "00:00:00,100", "to": "00:00:01,200"},
                        "offsets": {"from": 100, "to": 1200},
                        "text": " so good.",
                    }
                ],
            }
        ],
        [("so", 100, 414, 1.0, None), ("good.", 414, 1200, 1.0, None)],
    ),
    "whisper.cpp with tokens": (
        [
            {
                "systeminfo": "x",
                "transcription": [
                    {
                        "offsets": {"from": 0, "to": 1200},
                        "text": " so good.",
                        "tokens": [
                            {"text": "[_BEG_]", "offsets": {"from": 0, "to": 0}, "id": 50364, "p": 0.9},
                            {"text": " so", "offsets": {"from": 100, "to": 600}, "id": 1, "p": 0.9},
                            {"text": " go", "offsets": {"from": 700, "to": 900}, "id": 2, "p": 0.8},
                            {"text": "od", "offsets": {"from": 900, "to": 1100}, "id": 3, "p": 0.6},
                            {"text": ".", "offsets": {"from": 1100, "to": 1200}, "id": 4, "p": 0.9},
                            {"text": "[_TT_60]", "offsets": {"from": 1200, "to": 1200}, "id": 50424, "p": 0.1},
                        ],
                    }
                ],
            }
        ],
        [("so", 100, 600, 0.9, None), ("good.", 700, 1100, 0.6, None)],
    ),
    "Hugging Face": (
        [{"text": " so good.", "chunks": [{"text": " so", "timestamp": [0.1, 0.6]}, {"text": " good.", "timestamp": [0.7, None]}]}],
        [("so", 100, 600, 1.0, None), ("good.", 700, 1050, 1.0, None)],
    ),
    "insanely-fast-whisper": (
        [
            {
                "speakers": [{"speaker": "SPEAKER_00", "text": " so", "timestamp": [0.1, 0.6]}],
                "chunks": [{"text": " so", "timestamp": [0.1, 0.6]}],
                "text": "so",
            }
        ],
        [("so", 100, 600, 1.0, "SPEAKER_00")],
    ),
    "NVIDIA NeMo": (
        [
            {
                "text": "so good.",
                "timestamp": {"word": [{"word": "so", "start_offset": 1, "end_offset": 7, "start": 0.1, "end": 0.6}], "segment": []},
            }
        ],
        [("so", 100, 600, 1.0, None)],
    ),
    "Amazon Transcribe with speakers": (
        [
            {
                "jobName": "j",
                "results": {
                    "transcripts": [{"transcript": "So, good."}],
                    "speaker_labels": {
                        "segments": [{"speaker_label": "spk_1", "items": [{"start_time": "0.7", "speaker_label": "spk_1"}]}]
                    },
                    "items": [aws_item("So", 0.1, speaker_label="spk_0"), aws_item(",", None), aws_item("good", 0.7), aws_item(".", None)],
                },
                "status": "COMPLETED",
            }
        ],
        [("So,", 100, 600, 0.9, "spk_0"), ("good.", 700, 1200, 0.9, "spk_1")],
    ),
    "Amazon Transcribe with channels": (
        [
            {
                "results": {
                    "transcripts": [{"transcript": "So good."}],
                    "channel_labels": {
                        "channels": [
                            {"channel_label": "ch_0", "items": [aws_item("So", 0.1)]},
                            {"channel_label": "ch_1", "items": [aws_item("good", 0.7), aws_item(".", None)]},
                        ],
                        "number_of_channels": 2,
                    },
                    "items": [aws_item("So", 0.1, channel_label="ch_0"), aws_item("good", 0.7, channel_label="ch_1")],
                }
            }
        ],
        [("So", 100, 600, 0.9, "ch_0"), ("good.", 700, 1200, 0.9, "ch_1")],
    ),
    "Amazon Transcribe streaming": (
        [
            {
                "Transcript": {
                    "Results": [{"IsPartial": True, "StartTime": 0.1, "EndTime": 0.6, "Alternatives": [{"Transcript": "sow", "Items": []}]}]
                }
            },
            {
                "Transcript": {
                    "Results": [
                        {
                            "IsPartial": False,
                            "StartTime": 0.1,
                            "EndTime": 0.6,
                            "Alternatives": [
                                {
                                    "Transcript": "So.",
                                    "Items": [
                                        {
                                            "StartTime": 0.1,
                                            "EndTime": 0.6,
                                            "Type": "pronunciation",
                                            "Content": "So",
                                            "Confidence": 0.9,
                                            "Speaker": "0",
                                        },
                                        {"StartTime": 0.6, "EndTime": 0.6, "Type": "punctuation", "Content": "."},
                                    ],
                                }
                            ],
                        }
                    ]
                }
            },
        ],
        [("So.", 100, 600, 0.9, "Speaker 0")],
    ),
    "Amazon Contact Lens": (
        [
            {
                "Channel": "VOICE",
                "Participants": [
                    {"ParticipantId": "p1", "ParticipantRole": "AGENT"},
                    {"ParticipantId": "CUSTOMER", "ParticipantRole": "CUSTOMER"},
                ],
                "Transcript": [
                    {
                        "Id": "a",
                        "ParticipantId": "p1",
                        "Content": "So good",
                        "BeginOffsetMillis": 100,
                        "EndOffsetMillis": 1200,
                        "Sentiment": "POSITIVE",
                    },
                    {"Id": "b", "ParticipantId": "CUSTOMER", "Content": "yes", "BeginOffsetMillis": 1500, "EndOffsetMillis": 2000},
                ],
            }
        ],
        [("So", 100, 466, 1.0, "AGENT"), ("good", 466, 1200, 1.0, "AGENT"), ("yes", 1500, 2000, 1.0, "CUSTOMER")],
    ),
    "Amazon Contact Lens in real time": (
        [
            {
                "Segments": [
                    {"Utterance": {"ParticipantRole": "AGENT", "PartialContent": "So", "BeginOffsetMillis": 100, "EndOffsetMillis": 500}},
                    {
                        "Transcript": {
                            "Id": "a",
                            "ParticipantRole": "AGENT",
                            "Content": "So",
                            "BeginOffsetMillis": 100,
                            "EndOffsetMillis": 600,
                        }
                    },
                    {"Categories": {"MatchedCategories": []}},
                ]
            },
            {
                "Segments": [
                    {
                        "Transcript": {
                            "Id": "a",
                            "ParticipantRole": "AGENT",
                            "Content": "So",
                            "BeginOffsetMillis": 100,
                            "EndOffsetMillis": 600,
                        }
                    }
                ]
            },
        ],
        [("So", 100, 600, 1.0, "AGENT")],
    ),
    "Call Analytics with items": (
        [
            {
                "ConversationCharacteristics": {},
                "Participants": [{"ParticipantRole": "AGENT"}],
                "Transcript": [
                    {
                        "ParticipantRole": "AGENT",
                        "Content": "So good.",
                        "BeginOffsetMillis": 100,
                        "EndOffsetMillis": 1200,
                        "Items": [
                            {
                                "Content": "So",
                                "BeginOffsetMillis": 100,
                                "EndOffsetMillis": 600,
                                "Confidence": "0.9",
                                "Type": "pronunciation",
                            },
                            {
                                "Content": "good",
                                "BeginOffsetMillis": 700,
                                "EndOffsetMillis": 1200,
                                "Confidence": "0.8",
                                "Type": "pronunciation",
                            },
                            {"Content": ".", "Confidence": "0.0", "Type": "punctuation"},
                        ],
                    }
                ],
            }
        ],
        [("So", 100, 600, 0.9, "AGENT"), ("good.", 700, 1200, 0.8, "AGENT")],
    ),
    "Deepgram": (
        [
            {
                "metadata": {"channels": 1},
                "results": {
                    "channels": [
                        {
                            "alternatives": [
                                {
                                    "transcript": "So good.",
                                    "words": [
                                        {"word": "so", "start": 0.1, "end": 0.6, "confidence": 0.9, "speaker": 0, "punctuated_word": "So"},
                                        {
                                            "word": "good",
                                            "start": 0.7,
                                            "end": 1.2,
                                            "confidence": 0.8,
                                            "speaker": 1,
                                            "punctuated_word": "good.",
                                        },
                                    ],
                                }
                            ]
                        }
                    ]
                },
            }
        ],
        [("So", 100, 600, 0.9, "Speaker 0"), ("good.", 700, 1200, 0.8, "Speaker 1")],
    ),
    "Deepgram with channels": (
        [
            {
                "results": {
                    "channels": [
                        {"alternatives": [{"transcript": "so", "words": [{"word": "so", "start": 0.1, "end": 0.6, "confidence": 0.9}]}]},
                        {
                            "alternatives": [
                                {"transcript": "good", "words": [{"word": "good", "start": 0.7, "end": 1.2, "confidence": 0.8}]}
                            ]
                        },
                    ]
                }
            }
        ],
        [("so", 100, 600, 0.9, "ch_0"), ("good", 700, 1200, 0.8, "ch_1")],
    ),
    "Deepgram's utterances": (
        [{"results": {"utterances": [{"start": 0.1, "end": 0.6, "confidence": 0.9, "channel": 0, "transcript": "so", "speaker": 0}]}}],
        [("so", 100, 600, 1.0, "Speaker 0")],
    ),
    "Deepgram live": (
        [
            {"type": "Metadata", "request_id": "x"},
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": 0.0,
                "duration": 1.0,
                "is_final": False,
                "channel": {"alternatives": [{"transcript": "sow", "words": [{"word": "sow", "start": 0.1, "end": 0.6}]}]},
            },
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": 0.0,
                "duration": 1.0,
                "is_final": True,
                "channel": {"alternatives": [{"transcript": "so", "words": [{"word": "so", "start": 0.1, "end": 0.6, "confidence": 0.9}]}]},
            },
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": 1.0,
                "duration": 1.0,
                "is_final": True,
                "channel": {"alternatives": [{"transcript": "", "words": []}]},
            },
        ],
        [("so", 100, 600, 0.9, None)],
    ),
    "Google v1": (
        [
            {
                "results": [
                    {
                        "alternatives": [
                            {
                                "transcript": "so good",
                                "confidence": 0.9,
                                "words": [
                                    {"startTime": "0.100s", "endTime": "0.600s", "word": "so"},
                                    {"startTime": "0.700s", "endTime": "1.200s", "word": "good"},
                                ],
                            }
                        ],
                        "resultEndTime": "1.300s",
                    }
                ]
            }
        ],
        [("so", 100, 600, 0.9, None), ("good", 700, 1200, 0.9, None)],
    ),
    "Google v1 with speakers, whose last result has all words again": (
        [
            {
                "name": "1",
                "done": True,
                "response": {
                    "results": [
                        {
                            "alternatives": [
                                {
                                    "transcript": "so good",
                                    "words": [{"endTime": "0.6s", "word": "so"}, {"startTime": "0.7s", "endTime": "1.2s", "word": "good"}],
                                }
                            ]
                        },
                        {
                            "alternatives": [
                                {
                                    "words": [
                                        {"endTime": "0.6s", "word": "so", "speakerTag": 1},
                                        {"startTime": "0.7s", "endTime": "1.2s", "word": "good", "speakerTag": 2},
                                    ]
                                }
                            ]
                        },
                    ]
                },
            }
        ],
        [("so", 0, 600, 1.0, "Speaker 1"), ("good", 700, 1200, 1.0, "Speaker 2")],
    ),
    "Google v2 in batch with channels": (
        [
            {
                "results": {
                    "gs://bucket/call.wav": {
                        "transcript": {
                            "results": [
                                {
                                    "alternatives": [
                                        {
                                            "transcript": "so",
                                            "words": [{"startOffset": "0.100s", "endOffset": "0.600s", "word": "so", "speakerLabel": "1"}],
                                        }
                                    ],
                                    "channelTag": 1,
                                },
                                {
                                    "alternatives": [
                                        {"transcript": "good", "words": [{"startOffset": "0.700s", "endOffset": "1.200s", "word": "good"}]}
                                    ],
                                    "channelTag": 2,
                                },
                            ]
                        }
                    }
                }
            }
        ],
        [("so", 100, 600, 1.0, "ch_0"), ("good", 700, 1200, 1.0, "ch_1")],
    ),
    "Google without word times": (
        [
            {
                "results": [
                    {"alternatives": [{"transcript": "so"}], "resultEndTime": "1s"},
                    {"alternatives": [{"transcript": " good"}], "resultEndTime": "2.5s"},
                ]
            }
        ],
        [("so", 0, 1000, 1.0, None), ("good", 1000, 2500, 1.0, None)],
    ),
    "Google's protobuf fields": (
        [
            {
                "results": [
                    {
                        "alternatives": [
                            {
                                "transcript": "so",
                                "words": [{"start_time": {"nanos": 100000000}, "end_time": {"seconds": 1, "nanos": 0}, "word": "so"}],
                            }
                        ]
                    }
                ]
            }
        ],
        [("so", 100, 1000, 1.0, None)],
    ),
    "Google's stream": (
        [
            {"results": [{"alternatives": [{"transcript": "sow"}], "stability": 0.5, "resultEndTime": "0.5s"}]},
            {"results": [{"alternatives": [{"transcript": "so", "confidence": 0.9}], "isFinal": True, "resultEndTime": "1s"}]},
        ],
        [("so", 0, 1000, 0.9, None)],
    ),
    "IBM Watson": (
        [
            {
                "result_index": 0,
                "results": [
                    {
                        "final": True,
                        "alternatives": [
                            {"transcript": "so good ", "confidence": 0.9, "timestamps": [["so", 0.1, 0.6], ["good", 0.7, 1.2]]}
                        ],
                    }
                ],
                "speaker_labels": [{"from": 0.1, "to": 0.6, "speaker": 0}, {"from": 0.7, "to": 1.2, "speaker": 1}],
            }
        ],
        [("so", 100, 600, 0.9, "Speaker 0"), ("good", 700, 1200, 0.9, "Speaker 1")],
    ),
    "Azure batch": (
        [
            {
                "source": "https://x",
                "combinedRecognizedPhrases": [],
                "recognizedPhrases": [
                    {
                        "recognitionStatus": "Success",
                        "channel": 0,
                        "speaker": 1,
                        "offset": "PT0.1S",
                        "duration": "PT1.1S",
                        "offsetInTicks": 1000000.0,
                        "durationInTicks": 11000000.0,
                        "nBest": [
                            {
                                "confidence": 0.9,
                                "lexical": "so good",
                                "display": "So good.",
                                "words": [
                                    {
                                        "word": "so",
                                        "offset": "PT0.1S",
                                        "duration": "PT0.5S",
                                        "offsetInTicks": 1000000.0,
                                        "durationInTicks": 5000000.0,
                                        "confidence": 0.9,
                                    },
                                    {"word": "good", "offset": "PT0.7S", "duration": "PT0.5S", "confidence": 0.8},
                                ],
                            }
                        ],
                    },
                    {"recognitionStatus": "Failure", "channel": 0, "offset": "PT2S", "duration": "PT1S"},
                ],
            }
        ],
        [("So", 100, 600, 0.9, "Speaker 1"), ("good.", 700, 1200, 0.8, "Speaker 1")],
    ),
    "Azure SDK": (
        [
            {
                "RecognitionStatus": "Success",
                "Offset": 1000000,
                "Duration": 11000000,
                "DisplayText": "So good.",
                "NBest": [
                    {
                        "Confidence": 0.9,
                        "Lexical": "so good",
                        "Display": "So good.",
                        "Words": [
                            {"Word": "so", "Offset": 1000000, "Duration": 5000000},
                            {"Word": "good", "Offset": 7000000, "Duration": 5000000},
                        ],
                    }
                ],
            },
            {"RecognitionStatus": "InitialSilenceTimeout", "Offset": 30000000, "Duration": 0},
            {"RecognitionStatus": "Success", "Offset": 20000000, "Duration": 10000000, "DisplayText": "Yes."},
        ],
        [("So", 100, 600, 0.9, None), ("good.", 700, 1200, 0.9, None), ("Yes.", 2000, 3000, 1.0, None)],
    ),
    "Azure fast transcription": (
        [
            {
                "durationMilliseconds": 1200,
                "combinedPhrases": [{"text": "So good."}],
                "phrases": [
                    {
                        "offsetMilliseconds": 100,
                        "durationMilliseconds": 1100,
                        "text": "So good.",
                        "confidence": 0.9,
                        "words": [
                            {"text": "So", "offsetMilliseconds": 100, "durationMilliseconds": 500},
                            {"text": "good.", "offsetMilliseconds": 700, "durationMilliseconds": 500},
                        ],
                    }
                ],
            }
        ],
        [("So", 100, 600, 0.9, None), ("good.", 700, 1200, 0.9, None)],
    ),
    "AssemblyAI": (
        [
            {
                "id": "x",
                "status": "completed",
                "audio_duration": 2,
                "text": "So good.",
                "words": [
                    {"text": "So", "start": 100, "end": 600, "confidence": 0.9, "speaker": "A"},
                    {"text": "good.", "start": 700, "end": 1200, "confidence": 0.8, "speaker": "B"},
                ],
                "utterances": [{"text": "So", "start": 100, "end": 600, "confidence": 0.9, "speaker": "A"}],
            }
        ],
        [("So", 100, 600, 0.9, "A"), ("good.", 700, 1200, 0.8, "B")],
    ),
    "AssemblyAI streaming": (
        [
            {"type": "Begin", "id": "x"},
            {
                "type": "Turn",
                "turn_order": 0,
                "turn_is_formatted": False,
                "end_of_turn": True,
                "transcript": "so",
                "words": [{"text": "so", "start": 100, "end": 600, "confidence": 0.9}],
            },
            {
                "type": "Turn",
                "turn_order": 0,
                "turn_is_formatted": True,
                "end_of_turn": True,
                "transcript": "So.",
                "words": [{"text": "So.", "start": 100, "end": 600, "confidence": 0.9}],
            },
        ],
        [("So.", 100, 600, 0.9, None)],
    ),
    "Vosk": (
        [
            {"partial": "so"},
            {"result": [{"conf": 0.9, "start": 0.1, "end": 0.6, "word": "so"}], "text": "so"},
            {"text": ""},
            {"result": [{"conf": 0.8, "start": 0.7, "end": 1.2, "word": "good"}], "text": "good"},
        ],
        [("so", 100, 600, 0.9, None), ("good", 700, 1200, 0.8, None)],
    ),
    "Vosk with alternatives": (
        [{"alternatives": [{"confidence": 200.5, "result": [{"start": 0.1, "end": 0.6, "word": "so"}], "text": "so"}]}],
        [("so", 100, 600, 1.0, None)],
    ),
    "Speechmatics": (
        [
            {
                "format": "2.9",
                "job": {},
                "results": [
                    {
                        "type": "word",
                        "start_time": 0.1,
                        "end_time": 0.6,
                        "alternatives": [{"content": "So", "confidence": 0.9, "speaker": "S1"}],
                    },
                    {
                        "type": "punctuation",
                        "attaches_to": "previous",
                        "start_time": 0.6,
                        "end_time": 0.6,
                        "alternatives": [{"content": ".", "confidence": 1.0}],
                    },
                ],
            }
        ],
        [("So.", 100, 600, 0.9, "S1")],
    ),
    "Rev AI": (
        [
            {
                "monologues": [
                    {
                        "speaker": 0,
                        "elements": [
                            {"type": "text", "value": "So", "ts": 0.1, "end_ts": 0.6, "confidence": 0.9},
                            {"type": "punct", "value": " "},
                            {"type": "text", "value": "good", "ts": 0.7, "end_ts": 1.2, "confidence": 0.8},
                            {"type": "punct", "value": "."},
                        ],
                    }
                ]
            }
        ],
        [("So", 100, 600, 0.9, "Speaker 0"), ("good.", 700, 1200, 0.8, "Speaker 0")],
    ),
    "ElevenLabs": (
        [
            {
                "language_code": "en",
                "text": "So (laughter)",
                "words": [
                    {"text": "So", "start": 0.1, "end": 0.6, "type": "word", "speaker_id": "speaker_0", "logprob": -0.1053605},
                    {"text": " ", "start": 0.6, "end": 0.7, "type": "spacing", "speaker_id": "speaker_0"},
                    {"text": "(laughter)", "start": 0.7, "end": 1.2, "type": "audio_event", "speaker_id": "speaker_0"},
                ],
            }
        ],
        [("So", 100, 600, 0.9, "speaker_0")],
    ),
    "Gladia": (
        [
            {
                "id": "x",
                "result": {
                    "transcription": {
                        "full_transcript": "so",
                        "utterances": [
                            {
                                "start": 0.1,
                                "end": 0.6,
                                "text": "so",
                                "speaker": 0,
                                "channel": 0,
                                "words": [{"word": "so", "start": 0.1, "end": 0.6, "confidence": 0.9}],
                            }
                        ],
                    }
                },
            }
        ],
        [("so", 100, 600, 0.9, "Speaker 0")],
    ),
    "YouTube json3": (
        [
            {
                "wireMagic": "pb3",
                "events": [
                    {"tStartMs": 0, "dDurationMs": 5000, "id": 1},
                    {"tStartMs": 100, "dDurationMs": 4000, "segs": [{"utf8": "so"}, {"utf8": " good", "tOffsetMs": 600}]},
                    {"tStartMs": 1200, "aAppend": 1, "segs": [{"utf8": "\n"}]},
                    {"tStartMs": 1300, "dDurationMs": 1000, "segs": [{"utf8": "yes"}]},
                ],
            }
        ],
        [("so", 100, 700, 1.0, None), ("good", 700, 1300, 1.0, None), ("yes", 1300, 2300, 1.0, None)],
    ),
    "youtube-transcript-api": ([[{"text": "so", "start": 0.1, "duration": 0.5}]], [("so", 100, 600, 1.0, None)]),
    "a document in a service's envelope": (
        [{"id": "x", "status": "COMPLETED", "output": {"segments": [SEGMENT | {"words": WORDS}]}}],
        SO_GOOD,
    ),
    "a number and a clock as strings": ([[{"text": 5, "start": "00:00:00,100", "end": "0.6"}]], [("5", 100, 600, 1.0, None)]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_words_of_each_tool(shape: str) -> None:
    documents, expected = SHAPES[shape]
    assert rows(*documents) == expected


@pytest.mark.parametrize("shape", [name for name, (documents, _) in SHAPES.items() if len(documents) > 1])
def test_messages_may_be_a_list_or_lines(shape: str) -> None:
    documents, expected = SHAPES[shape]
    assert rows(documents) == expected


def test_channels_have_numbers() -> None:
    transcript = read(*SHAPES["Deepgram with channels"][0])
    assert (transcript.channels, transcript.speakers) == ({"ch_0": 0, "ch_1": 1}, ("ch_0", "ch_1"))
    assert read(*SHAPES["Deepgram"][0]).channels == {}


@pytest.mark.parametrize(
    "document",
    [
        {
            "results": {
                "channels": [{"alternatives": []}, {"alternatives": [{"words": [{"word": "so", "start": 0, "end": 1, "speaker": 0}]}]}]
            }
        },
        {"audio_duration": 1, "words": [{"text": "so", "start": 0, "end": 1000, "channel": "2", "speaker": "2A"}]},
        {"utterances": [{"text": "so", "start": 0.0, "end": 1.0, "channel": 1, "words": [{"word": "so", "start": 0.0, "end": 1.0}]}]},
        {"recognizedPhrases": [{"channel": 1, "offset": "PT0S", "duration": "PT1S", "nBest": [{"display": "so"}]}]},
    ],
)
def test_a_channel_keeps_its_number_although_nobody_speaks_in_the_first(document: object) -> None:
    transcript = read(document)
    assert (rows(document), transcript.channels) == ([("so", 0, 1000, 1.0, "ch_1")], {"ch_1": 1})


def test_whisper_gives_the_same_words_in_each_of_its_formats() -> None:
    cues = [(0.1, 3.5, "So good, thank you."), (3.6, 6.0, "[MUSIC] Yes")]
    document = {
        "text": "x",
        "segments": [{"id": i, "start": start, "end": end, "text": f" {text}"} for i, (start, end, text) in enumerate(cues)],
    }
    srt = "".join(f"{i + 1}\n00:00:0{s:.3f} --> 00:00:0{e:.3f}\n{text}\n\n".replace(".", ",", 2) for i, (s, e, text) in enumerate(cues))
    vtt = "WEBVTT\n\n" + "".join(f"00:0{s:.3f} --> 00:0{e:.3f}\n{text}\n\n" for s, e, text in cues)
    terminal = "".join(f"[00:0{s:.3f} --> 00:0{e:.3f}]  {text}\n" for s, e, text in cues)
    words = read(document).words
    assert [word.text for word in words] == ["So", "good,", "thank", "you.", "Yes"]
    assert [parse_transcript(text.encode(), suffix).words for text, suffix in ((srt, ".srt"), (vtt, ".vtt"), (terminal, ".srt"))] == [
        words
    ] * 3


def test_sub_word_tokens_and_scripts_without_blanks() -> None:
    tokens = [{"word": w, "start": i, "end": i + 1} for i, w in enumerate([" well", "-known", " Amer", "icans", " yes"])]
    assert [w[:3] for w in rows({"segments": [{"start": 0, "end": 5, "words": tokens}]})] == [
        ("well-known", 0, 2000),
        ("Americans", 2000, 4000),
        ("yes", 4000, 5000),
    ]
    wide = [{"word": w, "start": i, "end": i + 1} for i, w in enumerate("\u4f60\u597d\u3002")]
    assert [w[:3] for w in rows({"segments": [{"start": 0, "end": 3, "words": wide}]})] == [
        ("\u4f60", 0, 1000),
        ("\u597d\u3002", 1000, 2000),
    ]


def test_nan_is_an_unknown_time_and_an_unknown_confidence() -> None:
    text = '{"segments": [{"start": 0, "end": 3, "text": "a b c", "words": [{"word": "a", "start": 0, "end": 1, "score": NaN}, '
    text += '{"word": "b", "start": NaN, "end": NaN}, {"word": "c", "start": 2, "end": 3, "score": 0.5}]}]}'
    words = parse_transcript(text.encode(), ".json").words
    assert words == (Word("a", 0, 1000), Word("b", 1000, 2000), Word("c", 2000, 3000, 0.5))


def test_a_phrase_that_ends_before_it_starts_gets_a_length_and_a_word_has_none() -> None:
    assert rows({"segments": [{"start": 2, "end": 1, "text": "so"}]}) == [("so", 2000, 2140, 1.0, None)]
    assert rows({"segments": [{"start": 1, "end": 3, "words": [{"word": "so", "start": 2, "end": 1}], "text": "so"}]}) == [
        ("so", 2000, 2000, 1.0, None)
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"text": "", "segments": [], "language": "en"},
        {"segments": [], "word_segments": []},
        {"results": {"transcripts": [{"transcript": ""}], "items": []}},
        {"results": {"channels": [{"alternatives": [{"transcript": "", "words": []}]}]}},
        {"recognizedPhrases": []},
        {"text": ""},
        {"monologues": []},
        {"Participants": [], "Transcript": []},
        {"systeminfo": "x", "transcription": []},
        [],
    ],
)
def test_an_empty_transcript_says_that_nobody_speaks(document: object) -> None:
    with pytest.raises(TranscriptError, match="no words: nobody speaks in it"):
        read(document)


def test_transcripts_of_podcasts_and_meetings_are_read() -> None:
    podcast = {"version": "1.0.0", "segments": [{"speaker": "Anna", "startTime": 0.5, "endTime": 1.5, "body": "so good"}]}
    assert rows(podcast) == [("so", 500, 833, 1.0, "Anna"), ("good", 833, 1500, 1.0, "Anna")]
    sentences = [{"index": 0, "speaker_name": "Anna", "text": "so", "start_time": 0.5, "end_time": 1}]
    for meeting in ({"sentences": sentences}, {"data": {"transcript": {"sentences": sentences}}}):
        assert rows(meeting) == [("so", 500, 1000, 1.0, "Anna")]


@pytest.mark.parametrize(
    "document",
    [
        {"secret": "hello"},
        {"foo": [{"bar": "secret"}]},
        {"segments": [{"start": 1, "end": 2, "secret": "secret"}]},
        5,
        "secret",
        None,
        [1, 2],
        {"results": []},
        [["secret"]],
    ],
)
def test_an_unknown_shape_names_those_that_are_known(document: object) -> None:
    with pytest.raises(TranscriptError, match=r"no shape that is known: .*Amazon Transcribe.*Whisper.*a list of entries") as error:
        read(document)
    assert "secret" not in str(error.value)
    assert "no words" not in str(error.value)


def test_words_without_any_time_are_not_no_words() -> None:
    with pytest.raises(TranscriptError, match="words have no times"):
        read({"text": "secret", "segments": [{"text": "secret"}]})
    with pytest.raises(TranscriptError, match="words have no times"):
        read({"results": {"transcripts": [{"transcript": "secret"}], "items": []}})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"segments": [', "line 1: the file is not valid JSON"),
        (b'{"words": [], "words": [{"w": "secret", "s": 0, "e": 1}]}', "names a key twice"),
        (b'{"words": [{"w": "secret", "s": 0, "e": ' + b"9" * 5000 + b"}]}", "too large"),
        (b'{"words": [{"w": "secret", "s": 0, "e": 1e999}]}', "entry 1 needs"),
        (b'{"words": [{"w": "secret", "s": 0, "e": 1e30}]}', "beyond a week"),
        (b'{"words": [{"w": "secret", "s": 0, "e": 99999999999999999999999}]}', "beyond a week"),
        (b'{"segments": [{"text": "secret", "start": 0, "end": 1}]} secret', "line 1: the file is not valid JSON"),
        (b'{"segments":\n [{"text": "\xff secret", "start": 0, "end": 1}]}', "line 2: the transcript is not UTF-8"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b"", "the file is empty"),
        (b'{"segments": [{"text": {"secret": 1}, "start": 0, "end": 1}]}', r"wrong type at \$.segments\[0\].text"),
    ],
)
def test_bad_json_is_one_clear_error_without_its_content(raw: bytes, message: str) -> None:
    with pytest.raises(TranscriptError, match=message) as error:
        parse_transcript(raw, ".json")
    assert "secret" not in str(error.value)


def test_json_in_utf_16_with_any_name() -> None:
    document = json.dumps({"segments": [SEGMENT | {"words": WORDS}]})
    transcript = parse_transcript(document.encode("utf-16"), ".json")
    assert [w.text for w in transcript.words] == ["so", "good."]
    assert transcript.notices == ("the transcript is UTF-16 text",)
    assert [w.text for w in parse_transcript(document.encode(), ".vtt").words] == ["so", "good."]
    assert [w.text for w in parse_transcript(b"WEBVTT\n\n00:00.000 --> 00:01.000\nso\n", ".json").words] == ["so"]
