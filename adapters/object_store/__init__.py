"""S3: photographs fetched from any S3 server, with requests that the minio SDK signs."""
