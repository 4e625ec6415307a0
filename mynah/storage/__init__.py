"""The object store: its protocol and its adapters. The only home of the minio client."""
