"""Hardware sources: what the machine's processors, memory and accelerators are doing. Nothing of app."""
