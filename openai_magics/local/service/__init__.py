"""The engine's front: files, fine-tuning jobs and tuned models behind the engine's one address."""
