"""The documentation as a web site: staged from the repository's Markdown, then built by MkDocs."""
