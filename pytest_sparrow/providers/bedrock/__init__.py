"""The format of Amazon Bedrock's converse: reading and building."""
