"""U-Net and U-REC on a pretrained encoder of Hugging Face's transformers, which is optional."""
