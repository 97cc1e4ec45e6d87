"""The adapter for urllib3, and so for requests and botocore."""
