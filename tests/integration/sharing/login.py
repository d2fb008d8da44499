"""Who may use the servers of these tests."""

USER, PASSWORD = "hunter", "secret"
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
