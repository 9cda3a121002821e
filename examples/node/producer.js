// Sends a session of six seconds to sentistream: sound and words of one speaker. Needs only kafkajs.
//
// node producer.js --bootstrap 127.0.0.1:9092 --session node-1
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import kafkajs from "kafkajs";

const { Kafka, Partitioners, logLevel } = kafkajs;

const SECONDS = 6;
const RATE = 16_000; // samples a second; 16 bit, little-endian, mono
const WORDS = ["hello", "this", "is", "a", "short", "test."];
const TENANT = "default";
const TRACK = "customer";
const ROLE = "customer";
const SOURCE = "examples/node";

const { values: options } = parseArgs({
  options: {
    bootstrap: { type: "string", default: "127.0.0.1:9092" }, // HOST:PORT of Kafka
    session: { type: "string" }, // name of the session: a new one for each run
    "topic-prefix": { type: "string", default: "" }, // kafka.topic_prefix of the workers
  },
});
if (!options.session) {
  console.error("--session NAME is missing");
  process.exit(2);
}
const session = options.session;

const kafka = new Kafka({ clientId: "example-producer", brokers: options.bootstrap.split(","), logLevel: logLevel.ERROR });
const producer = kafka.producer({
  // The partitioner of the Java client. LegacyPartitioner, that of kafkajs 1, puts keys elsewhere, and workers refuse the records.
  createPartitioner: Partitioners.DefaultPartitioner,
  // Retries without repeats or changes of order; needs acks -1 (all), which is the default.
  idempotent: true,
  maxInFlightRequests: 1,
});

// The key is tenant/session in every topic: all records of a session meet in one worker. Values are bytes: a Buffer, or a string for JSON.
const send = (topic, value, headers) =>
  producer.send({ topic: options["topic-prefix"] + topic, acks: -1, messages: [{ key: `${TENANT}/${session}`, value, headers }] });

const eventHeaders = (event, atMs) => ({
  ce_specversion: "1.0",
  ce_id: randomUUID(),
  ce_source: SOURCE,
  ce_type: `io.sentistream.session.${event}`,
  ce_subject: session,
  ce_time: new Date(atMs).toISOString(),
  "content-type": "application/json",
  ce_tenant: TENANT,
  ce_schemaversion: "1.0",
});

const chunkHeaders = (modality, contentType, second, beganMs) => ({
  // The capture time of a chunk is that of its last sample.
  ...eventHeaders("", beganMs + (second + 1) * 1000),
  ce_type: `io.sentistream.chunk.${modality}`,
  "content-type": contentType,
  ce_track: TRACK,
  ce_role: ROLE,
  // Numbers in headers are strings. 0, 1, 2… for each modality of each track.
  ce_sequence: String(second),
  // Raise it whenever the media clock starts again at 0.
  ce_epoch: "0",
  ce_mediastart: String(second * 1000),
  ce_mediaduration: "1000",
});

// One second of a soft tone of 200 Hz.
function tone(second) {
  const samples = Buffer.alloc(2 * RATE);
  for (let i = 0; i < RATE; i++) {
    samples.writeInt16LE(Math.trunc(8000 * Math.sin((2 * Math.PI * 200 * (second * RATE + i)) / RATE)), 2 * i);
  }
  return samples;
}

try {
  await producer.connect();
  // This recording ended just now. A live producer takes the time of the first sample, and sends each chunk as soon as it is complete.
  const beganMs = Date.now() - SECONDS * 1000;
  const plan = [{ track: TRACK, role: ROLE, modalities: ["text", "audio"] }];
  await send("sessions", JSON.stringify({ event: "start", epoch: 0, tracks: plan }), eventHeaders("start", beganMs));
  for (let second = 0; second < SECONDS; second++) {
    await send("chunks.audio", tone(second), chunkHeaders("audio", "audio/L16;rate=16000;channels=1", second, beganMs));
    // Word times count from the start of the session. A second without words has an empty list; it is sent, too.
    const word = { text: WORDS[second], start_ms: second * 1000 + 300, end_ms: second * 1000 + 700, confidence: 0.9 };
    const words = JSON.stringify({ words: [word], final: word.text.endsWith(".") });
    await send("chunks.text", words, chunkHeaders("text", "application/vnd.sentistream.words+json", second, beganMs));
  }
  const counts = [{ track: TRACK, chunks: { text: SECONDS, audio: SECONDS } }];
  const end = { event: "end", epoch: 0, media_ms: SECONDS * 1000, tracks: counts };
  await send("sessions", JSON.stringify(end), eventHeaders("end", beganMs + SECONDS * 1000));
} catch (error) {
  // `send` fails if Kafka has not taken the record after all retries.
  console.error(`Kafka: ${error.message}`);
  process.exitCode = 1;
} finally {
  await producer.disconnect();
}
