"""The Faust app: thin wiring of the pipeline to Kafka."""
