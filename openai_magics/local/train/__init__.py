"""The trainer: LoRA on a GGUF or Hugging Face model, and adapters that llama.cpp serves.

``python -m openai_magics.local.train DATA --model MODEL --out FOLDER`` trains by itself, also
under ``torchrun`` or ``accelerate launch``; the queue runs it with ``--job FOLDER``.
"""
