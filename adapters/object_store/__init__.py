"""S3: photographs fetched from any S3 server, by the minio SDK."""
