module example.com/off
