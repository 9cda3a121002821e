"""The published contracts: JSON Schemas of every record, and one AsyncAPI document, made from the types of `stream.domain`."""
