"""Amazon Bedrock's converse, read and composed."""
